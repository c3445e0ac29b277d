package analyze

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Invisible tells a character that nobody sees, or takes for a blank.
func Invisible(r rune) bool {
	if r < 0x80 {
		return false
	}
	return unicode.In(r, unicode.Zs, unicode.Zl, unicode.Zp, unicode.Cf) || slices.Contains([]rune{0x115f, 0x1160, 0x3164, 0xffa0}, r) // and fillers
}

// visible is a message with what nobody sees written out.
func visible(message string) string {
	if strings.IndexFunc(message, Invisible) < 0 {
		return message
	}
	var b strings.Builder
	for _, r := range message {
		switch {
		case !Invisible(r):
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
