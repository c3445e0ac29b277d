package certs

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"strings"
)

// Block is a PEM block and the line that it begins on, counted from 1.
type Block struct {
	Kind    string
	Data    []byte
	Headers map[string]string
	Line    int
}

// Encrypted tells the two ways in which PEM says so.
func (b *Block) Encrypted() bool {
	return b.Kind == "ENCRYPTED PRIVATE KEY" || strings.Contains(b.Headers["Proc-Type"], "ENCRYPTED")
}

// IsKey tells a private key of any form.
func (b *Block) IsKey() bool { return strings.HasSuffix(b.Kind, "PRIVATE KEY") }

// BlockFault is a place where a text is no PEM. Its words never quote the text,
// which may be that of a key.
type BlockFault struct {
	Line  int
	What  string
	Stray bool // text outside of blocks
	Last  bool // no block follows it
}

func (f BlockFault) Error() string { return fmt.Sprintf("line %d: %s", f.Line, f.What) }

// Fix is the way out.
func (f BlockFault) Fix() string {
	switch {
	case f.What == byteOrderMark:
		return "save the file as UTF-8 without a byte order mark"
	case f.Stray:
		return "take out what is not between -----BEGIN and -----END"
	}
	return "copy it anew, from -----BEGIN to -----END"
}

// byteOrderMark is the fault of texts that editors of Windows saved.
const byteOrderMark = "the text begins with a byte order mark (BOM): what reads PEM skips the block behind it"

// scanner cuts a text into PEM blocks, line by line, and says of everything else
// where it is. Package pem skips it without a word.
type scanner struct {
	blocks []Block
	faults []BlockFault

	kind  string // of the block that is open; empty outside
	line  int    // where it begins
	text  bytes.Buffer
	stray bool // the line before was stray, too
}

// ScanBlocks finds the PEM blocks of a text, and every place that is no PEM.
func ScanBlocks(text []byte) ([]Block, []BlockFault) {
	s := &scanner{}
	if rest, marked := bytes.CutPrefix(text, []byte("\ufeff")); marked {
		s.fault(1, byteOrderMark)
		text = rest
	}
	n := 0
	for line := range bytes.Lines(text) {
		n++
		s.next(n, bytes.TrimSpace(line))
	}
	if s.kind != "" {
		s.fault(s.line, fmt.Sprintf("block %s has no end: the text is cut off", s.kind))
	}
	for i := range s.faults {
		f := &s.faults[i]
		f.Last = f.Stray && (len(s.blocks) == 0 || s.blocks[len(s.blocks)-1].Line < f.Line)
	}
	return s.blocks, s.faults
}

func (s *scanner) next(n int, line []byte) {
	begin, begins := marker(line, "BEGIN")
	end, ends := marker(line, "END")
	switch {
	case begins && s.kind != "":
		s.fault(s.line, fmt.Sprintf("block %s has no end before the next begins on line %d", s.kind, n))
		fallthrough
	case begins:
		s.open(n, begin, line)
	case s.kind == "" && len(line) == 0:
		s.stray = false
	case s.kind == "" && ends:
		s.fault(n, fmt.Sprintf("block %s ends without a beginning", end))
	case s.kind == "":
		if !s.stray {
			s.faults = append(s.faults, BlockFault{Line: n, What: "text that is no PEM block", Stray: true})
		}
		s.stray = true
	default:
		s.text.Write(line)
		s.text.WriteByte('\n')
		if ends {
			s.close(end)
		}
	}
}

func (s *scanner) open(n int, kind string, line []byte) {
	s.kind, s.line, s.stray = kind, n, false
	s.text.Reset()
	s.text.Write(line)
	s.text.WriteByte('\n')
}

func (s *scanner) close(end string) {
	kind := s.kind
	s.kind = ""
	if end != kind {
		s.fault(s.line, fmt.Sprintf("block %s ends as %s", kind, end))
		return
	}
	found, _ := pem.Decode(s.text.Bytes())
	if found == nil {
		s.fault(s.line, fmt.Sprintf("block %s is damaged: what it holds is no base64", kind))
		return
	}
	s.blocks = append(s.blocks, Block{kind, found.Bytes, found.Headers, s.line})
}

func (s *scanner) fault(line int, what string) {
	s.faults = append(s.faults, BlockFault{Line: line, What: what})
}

// marker reads a line such as -----BEGIN CERTIFICATE-----. Of a kind that is not
// one of PEM's the name is left out: it could be anything.
func marker(line []byte, word string) (kind string, ok bool) {
	rest, ok := bytes.CutPrefix(line, []byte("-----"+word+" "))
	if !ok {
		return "", false
	}
	name, ok := bytes.CutSuffix(rest, []byte("-----"))
	if !ok || len(name) == 0 {
		return "", false
	}
	const longest = 40
	for _, c := range name {
		if len(name) > longest || c != ' ' && c != '#' && (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return "of an unknown kind", true
		}
	}
	return string(name), true
}
