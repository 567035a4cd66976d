"""Alerts: what went wrong in a feed is told once, and once more when it is mended.

`sensor` asks the watchers what is wrong now (`ended_runs`, `failed_ticks`, `missing_days`,
`queues`, `disk`), compares it with what it has told already (`state`), and sends the difference
(`message`).
"""
