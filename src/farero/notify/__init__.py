"""Who is told of what, and how it reaches them: topics, deliveries, event rules, queues."""
