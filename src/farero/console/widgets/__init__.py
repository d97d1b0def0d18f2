"""The parts of a dashboard: what a body says is planned without a browser, then drawn as text and charts."""
