"""Name tables, one family a file: jft name -> source name and layout."""
