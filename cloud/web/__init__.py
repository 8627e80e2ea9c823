"""The API's manners, the same for every endpoint: errors, lists, versions, repeats, limits and who is asking."""
