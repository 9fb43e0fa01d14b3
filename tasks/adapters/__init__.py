"""The outside, one module per outside thing; nothing here knows Prefect or decides a verdict."""
