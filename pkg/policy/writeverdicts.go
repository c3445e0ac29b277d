package policy

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"strconv"
)

// WriteVerdicts writes verdicts as JSON, one a line, as encoding/json does but
// for the letters that it escapes for the sake of HTML.
func WriteVerdicts(w io.Writer, verdicts []Verdict) error {
	out := bufio.NewWriterSize(w, 1<<16)
	var line []byte
	for i := range verdicts {
		line = append(verdicts[i].appendJSON(line[:0]), '\n')
		if _, err := out.Write(line); err != nil {
			return err
		}
	}
	return out.Flush()
}

// appendJSON has to name every field of a Verdict, in their order.
func (v *Verdict) appendJSON(b []byte) []byte {
	b = append(b, '{')
	b = appendOptional(b, "id", v.ID)
	b = appendText(append(b, `"verdict":`...), string(v.Outcome))
	if v.HTTPStatus != 0 {
		b = strconv.AppendInt(append(b, `,"httpStatus":`...), int64(v.HTTPStatus), 10)
	}
	if v.GRPCStatus != nil {
		b = strconv.AppendInt(append(b, `,"grpcStatus":`...), int64(*v.GRPCStatus), 10)
	}
	b = append(b, ',')
	b = appendOptional(b, "by", v.By)
	b = appendOptional(b, "custom", v.Custom)
	if v.DryRun != nil {
		b = append(v.DryRun.appendJSON(append(b, `"dryRun":`...)), ',')
	}
	b = append(b, `"stage":`...)
	b = appendText(b, string(v.Stage))
	if v.Reason != "" {
		b = appendText(append(b, `,"reason":`...), v.Reason)
	}
	return append(b, '}')
}

func (d *DryRun) appendJSON(b []byte) []byte {
	b = append(b, '{')
	if d.Allow != nil {
		b = d.Allow.appendJSON(append(b, `"allow":`...))
	}
	if d.Deny != nil {
		if d.Allow != nil {
			b = append(b, ',')
		}
		b = d.Deny.appendJSON(append(b, `"deny":`...))
	}
	return append(b, '}')
}

func (s *Shadow) appendJSON(b []byte) []byte {
	b = appendText(append(b, `{"result":`...), s.Result)
	if s.By != "" {
		b = appendText(append(b, `,"by":`...), s.By)
	}
	return append(b, '}')
}

// appendOptional adds a field and a comma, unless the text is empty.
func appendOptional(b []byte, name, text string) []byte {
	if text == "" {
		return b
	}
	b = append(append(append(b, '"'), name...), `":`...)
	return append(appendText(b, text), ',')
}

// appendText leaves texts that are not plain ASCII to encoding/json.
func appendText(b []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c >= 0x80 || c == '"' || c == '\\' {
			var quoted bytes.Buffer
			encoder := json.NewEncoder(&quoted)
			encoder.SetEscapeHTML(false)
			_ = encoder.Encode(text) // a text can be encoded, and a buffer written
			return append(b, bytes.TrimSuffix(quoted.Bytes(), []byte("\n"))...)
		}
	}
	return append(append(append(b, '"'), text...), '"')
}
