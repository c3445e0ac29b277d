package manifest

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// undoMark begins the comment that records how to take an edit back.
const undoMark = "# meshctl.dev/undo: "

// maxUndo limits what a record may unpack to.
const maxUndo = 64 << 20

// maxDiff limits the work of finding equal lines; larger texts are recorded
// whole.
const maxDiff = 16 << 20

// WithUndo appends to edited, a YAML document, one comment line that records
// how to get original back. Undo reads it.
func WithUndo(edited, original []byte) []byte {
	newline := "\n"
	if bytes.Contains(edited, []byte("\r\n")) {
		newline = "\r\n"
	}
	text := bytes.Clone(edited)
	if !bytes.HasSuffix(text, []byte("\n")) {
		text = append(text, newline...)
	}
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestCompression)
	if err != nil {
		return edited // only for a wrong level
	}
	_, _ = io.WriteString(w, lineScript(text, original)) // a buffer takes all
	_ = w.Close()
	line := undoMark + checksum(text) + " " + base64.RawStdEncoding.EncodeToString(packed.Bytes())
	return append(append(text, line...), newline...)
}

// Undo gives back the text that WithUndo recorded. It is false if there is no
// record, or if the text was changed since.
func Undo(text []byte) (original []byte, ok bool) {
	at := bytes.LastIndex(text, []byte(undoMark))
	if at < 0 || at > 0 && text[at-1] != '\n' || bytes.Count(bytes.TrimSpace(text[at:]), []byte("\n")) > 0 {
		return nil, false
	}
	sum, data, _ := strings.Cut(strings.TrimSpace(string(text[at+len(undoMark):])), " ")
	if sum != checksum(text[:at]) {
		return nil, false
	}
	packed, err := base64.RawStdEncoding.DecodeString(data)
	if err != nil {
		return nil, false
	}
	script, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), maxUndo))
	if err != nil {
		return nil, false
	}
	return runScript(text[:at], string(script))
}

func checksum(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:6])
}

// lineScript says how to make to of from: "=n" keeps n lines, "-n" drops n, and
// "+n" adds the n bytes that follow its own line.
func lineScript(from, to []byte) string {
	a, b := splitLines(from), splitLines(to)
	var script strings.Builder
	emit := func(kept, dropped int, added string) {
		if kept > 0 {
			fmt.Fprintf(&script, "=%d\n", kept)
		}
		if dropped > 0 {
			fmt.Fprintf(&script, "-%d\n", dropped)
		}
		if added != "" {
			fmt.Fprintf(&script, "+%d\n%s", len(added), added)
		}
	}
	if len(a)*len(b) > maxDiff {
		emit(0, len(a), string(to))
		return script.String()
	}
	same := commonLines(a, b)
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		kept := 0
		for i < len(a) && j < len(b) && a[i] == b[j] {
			i, j, kept = i+1, j+1, kept+1
		}
		dropped, added := 0, ""
		for i < len(a) || j < len(b) {
			if i < len(a) && j < len(b) && a[i] == b[j] {
				break
			}
			if j == len(b) || i < len(a) && same[i+1][j] >= same[i][j+1] {
				i, dropped = i+1, dropped+1
			} else {
				added += b[j]
				j++
			}
		}
		emit(kept, dropped, added)
	}
	return script.String()
}

// commonLines counts, for every pair of tails, the lines in common and order.
func commonLines(a, b []string) [][]int32 {
	same := make([][]int32, len(a)+1)
	for i := range same {
		same[i] = make([]int32, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				same[i][j] = same[i+1][j+1] + 1
			} else {
				same[i][j] = max(same[i+1][j], same[i][j+1])
			}
		}
	}
	return same
}

func splitLines(text []byte) []string {
	var lines []string
	for line := range strings.Lines(string(text)) {
		lines = append(lines, line)
	}
	return lines
}

// runScript follows a lineScript; it is false if the script does not fit.
func runScript(from []byte, script string) ([]byte, bool) {
	lines := splitLines(from)
	var out []byte
	for script != "" {
		head, rest, found := strings.Cut(script, "\n")
		if !found || len(head) < 2 {
			return nil, false
		}
		n, err := strconv.Atoi(head[1:])
		if err != nil || n < 0 {
			return nil, false
		}
		script = rest
		switch {
		case head[0] == '+' && n <= len(script):
			out = append(out, script[:n]...)
			script = script[n:]
		case (head[0] == '=' || head[0] == '-') && n <= len(lines):
			if head[0] == '=' {
				out = append(out, strings.Join(lines[:n], "")...)
			}
			lines = lines[n:]
		default:
			return nil, false
		}
		if len(out) > maxUndo {
			return nil, false
		}
	}
	return out, len(lines) == 0
}
