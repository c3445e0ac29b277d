//go:build tools

// Package tools names the programs that this module builds.
package tools

import (
	_ "github.com/goreleaser/goreleaser/v2"
	_ "github.com/rhysd/actionlint/cmd/actionlint"
)
