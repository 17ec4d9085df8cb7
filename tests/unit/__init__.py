"""Single functions, without servers."""
