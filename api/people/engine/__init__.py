"""The signer's part: it judges what people said to a proposal, and applies it. Nobody else can."""
