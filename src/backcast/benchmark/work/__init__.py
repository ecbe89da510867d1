"""What a contender computes, inside its process. Each file has a class `Work`, and `Contender.work` names the file."""
