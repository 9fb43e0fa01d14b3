"""Security findings: what scanners saw, merged into one list, compared, waived and gated. Pure."""
