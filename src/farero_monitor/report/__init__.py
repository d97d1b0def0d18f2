"""One HTML page a person can read on a phone: no outside request, drawings as inline SVG."""
