"""The catalogues of translations: extracting, updating and compiling them (`make messages`), and their tests."""
