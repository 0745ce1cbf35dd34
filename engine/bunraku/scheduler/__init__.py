"""Who runs next: today the worker that runs Python effects block by block."""
