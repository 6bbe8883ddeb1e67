package main

import "context"

func matching(ctx context.Context, b *bench) error { return nil }
