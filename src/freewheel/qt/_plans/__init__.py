"""Plans on offer: forms, actions, previews."""
