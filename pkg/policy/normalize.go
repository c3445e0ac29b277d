package policy

import (
	"errors"
	"strings"
)

// Normalization is how much of a path is made comparable (section 1.11).
type Normalization string

// The levels, each with what the one before does.
const (
	NoNormalization       Normalization = "NONE"
	Base                  Normalization = "BASE"
	MergeSlashes          Normalization = "MERGE_SLASHES"
	DecodeAndMergeSlashes Normalization = "DECODE_AND_MERGE_SLASHES"
)

// errNullByte refuses a path (AP-83).
var errNullByte = errors.New("%00 in the path")

// normalize is the path, with its query, that filters and the application see
// (DP-50). The fragment is cut at every level.
func (n Normalization) normalize(target string) (string, error) {
	target, _, _ = strings.Cut(target, "#")
	path, query, hasQuery := strings.Cut(target, "?")
	if n == NoNormalization || isNormal(path) {
		return target, nil
	}
	if n == DecodeAndMergeSlashes {
		path = decodeSlashes(path)
	}
	if strings.Contains(path, "%00") {
		return "", errNullByte
	}
	path = removeDots(encodeOdd(decodeUnreserved(path)))
	if n == MergeSlashes || n == DecodeAndMergeSlashes {
		path = mergeSlashes(path)
	}
	if hasQuery {
		path += "?" + query
	}
	return path, nil
}

// isNormal tells paths that no level changes, as most are.
func isNormal(p string) bool {
	if p == "" || p[0] != '/' {
		return false
	}
	for i := range len(p) {
		switch c := p[i]; c {
		case '%', '\\', '"', '<', '>', '^', '{', '|', '}', '`':
			return false
		case '.', '/':
			if i > 0 && p[i-1] == '/' {
				return false
			}
		default:
			if c >= 0x80 {
				return false
			}
		}
	}
	return true
}

func decodeSlashes(p string) string {
	return strings.NewReplacer("%2f", "/", "%2F", "/", "%5c", "/", "%5C", "/").Replace(p)
}

// decodeUnreserved decodes escapes of letters, digits and -._~. A segment that
// reads ".;" or "..;" as it was written counts as a dot segment; one that only
// decodes to it does not, so it keeps a mark.
func decodeUnreserved(p string) string {
	var out strings.Builder
	for segment := range strings.SplitSeq(strings.ReplaceAll(p, `\`, "/"), "/") {
		plain := cutDotParameters(segment)
		for i := 0; i < len(plain); i++ {
			if plain[i] == '%' && i+2 < len(plain) {
				if c, ok := unhex(plain[i+1], plain[i+2]); ok && isUnreserved(c) {
					out.WriteByte(c)
					i += 2
					continue
				}
			}
			out.WriteByte(plain[i])
		}
		out.WriteByte('/')
	}
	return strings.TrimSuffix(out.String(), "/")
}

// cutDotParameters takes the parameters off a dot segment (AP-80).
func cutDotParameters(segment string) string {
	name, _, has := strings.Cut(segment, ";")
	if has && (name == "." || name == "..") {
		return name
	}
	return segment
}

func unhex(a, b byte) (byte, bool) {
	digit := func(c byte) int {
		switch {
		case c >= '0' && c <= '9':
			return int(c - '0')
		case c >= 'a' && c <= 'f':
			return int(c-'a') + 10
		case c >= 'A' && c <= 'F':
			return int(c-'A') + 10
		}
		return -1
	}
	x, y := digit(a), digit(b)
	return byte(x<<4 | y&15), x >= 0 && y >= 0 //nolint:gosec // two hexadecimal digits
}

func isUnreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

// encodeOdd writes characters that no URI has as escapes in upper case (AP-80).
func encodeOdd(p string) string {
	const upper = "0123456789ABCDEF"
	var out strings.Builder
	for i := range len(p) {
		c := p[i]
		if c >= 0x80 || strings.IndexByte("\"<>^{|}`", c) >= 0 {
			out.WriteByte('%')
			out.WriteByte(upper[c>>4])
			out.WriteByte(upper[c&15])
		} else {
			out.WriteByte(c)
		}
	}
	return out.String()
}

// removeDots resolves the segments "." and "..". An empty segment is a segment,
// and ".." at the root stays there.
func removeDots(p string) string {
	segments := strings.Split(p, "/")[1:]
	var kept []string
	for i, s := range segments {
		last := i == len(segments)-1
		switch s {
		case ".", "..":
			if s == ".." && len(kept) > 0 {
				kept = kept[:len(kept)-1]
			}
			if last {
				kept = append(kept, "")
			}
		default:
			kept = append(kept, s)
		}
	}
	return "/" + strings.Join(kept, "/")
}

// mergeSlashes makes one slash of several. A path of slashes only becomes two.
func mergeSlashes(p string) string {
	if len(p) > 1 && strings.Trim(p, "/") == "" {
		return "//"
	}
	var out strings.Builder
	for i := range len(p) {
		if p[i] != '/' || i == 0 || p[i-1] != '/' {
			out.WriteByte(p[i])
		}
	}
	return out.String()
}
