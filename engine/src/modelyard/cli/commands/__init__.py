"""One module for each family of commands; `root.COMMANDS` names them."""
