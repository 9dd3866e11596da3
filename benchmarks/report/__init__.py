"""Presentation of results: Markdown, figures, the page. Reads files; never fits, draws or scores."""
