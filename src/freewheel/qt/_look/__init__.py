"""What all widgets are made of: themes, icons, inputs, labels, questions."""
