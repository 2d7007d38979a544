"""Passes that draw configurations: of autoregressive wavefunctions site after site."""
