package ca

import "os"

// permissions tells whether modes of files say who may read them.
const permissions = false

// checkOwner has nothing to go by here.
func checkOwner(os.FileInfo) error { return nil }
