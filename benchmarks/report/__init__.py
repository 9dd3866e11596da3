"""What results look like: Markdown, figures, the page. Reads files; never fits, draws or scores."""
