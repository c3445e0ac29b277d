package ca

import (
	"os"
	"path/filepath"
)

// WorkTree is the git checkout that a path is in, or "": where keys do not belong
// (CA-48).
func WorkTree(path string) string {
	dir, err := filepath.Abs(path)
	if err != nil {
		return ""
	}
	for {
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
}
