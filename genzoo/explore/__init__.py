"""What a model knows, looked at: walks between latent vectors."""
