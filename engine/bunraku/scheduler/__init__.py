"""Who runs next: deadlines, measured cost, admission, tiers, batching. It runs callables and knows
no effect. docs/scheduler.md has the policies and their numbers."""
