"""What a contender computes, inside its process. Each file has a class `Work`; its name is the file's."""
