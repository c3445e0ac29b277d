package manifest_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"

	"github.com/meshctl/meshctl/pkg/manifest"
)

func TestSplit(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		in    string
		want  []string
		lines []int
	}{
		{"empty", "", nil, nil},
		{"one without newline", "a: 1", []string{"a: 1\n"}, []int{1}},
		{"two (INJ-1)", "a: 1\n--- # next\nb: 2\n", []string{"a: 1\n", "b: 2\n"}, []int{1, 3}},
		{"leading separator stays", "---\na: 1\n", []string{"---\na: 1\n"}, []int{1}},
		{"comment-only document (INJ-2)", "# hi\n---\na: 1\n---\n", []string{"# hi\n", "a: 1\n"}, []int{1, 3}},
		{"CRLF (INJ-2)", "a: 1\r\n---\r\nb: 2\r\n", []string{"a: 1\n", "b: 2\n"}, []int{1, 3}},
		{"indented dashes are content (INJ-1)", "a: |\n  ---\n  x\n", []string{"a: |\n  ---\n  x\n"}, []int{1}},
		{"dots do not separate (INJ-1)", "a: 1\n...\nb: 2\n", []string{"a: 1\n...\nb: 2\n"}, []int{1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, err := manifest.Split("x.yaml", []byte(tt.in))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			var lines []int
			for _, d := range s.Documents {
				got = append(got, string(d.Text))
				lines = append(lines, d.Line)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("documents (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.lines, lines); diff != "" {
				t.Errorf("lines (-want +got):\n%s", diff)
			}
			if back := s.Splice(make([][]byte, len(s.Documents))); string(back) != tt.in {
				t.Errorf("Splice without change = %q, want %q", back, tt.in)
			}
		})
	}
}

func TestSplitKeepsALongLastLine(t *testing.T) {
	t.Parallel()
	text := "a: 1\nb: " + strings.Repeat("x", 8192-3)
	s, err := manifest.Split("x.yaml", []byte(text))
	if err != nil || len(s.Documents) != 1 || string(s.Documents[0].Text) != text+"\n" {
		t.Errorf("%d documents, %v", len(s.Documents), err)
	}
}

func TestSplitBadSeparator(t *testing.T) {
	t.Parallel()
	_, err := manifest.Split("x.yaml", []byte("a: 1\n--- !t\nb: 2\n"))
	if want := "x.yaml:2:4: invalid Yaml document separator: !t"; err == nil || err.Error() != want {
		t.Errorf("Split = %v, want %s", err, want)
	}
}

// FuzzSplit holds Split to the reader that the peer uses (INJ-1, INJ-2).
func FuzzSplit(f *testing.F) {
	f.Add([]byte("---\na: 1\n---\n---\n# c\n--- #x\r\nb: 2"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var want []string
		var wantErr error
		// With its usual buffer the reader loses a last line without line end
		// whose length is a multiple of the buffer's; we do not follow it there.
		buffered := bufio.NewReaderSize(bytes.NewReader(data), len(data)+1)
		for r := utilyaml.NewYAMLReader(buffered); ; {
			doc, err := r.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				wantErr = err
				break
			}
			want = append(want, string(doc))
		}
		s, err := manifest.Split("x", data)
		if (err != nil) != (wantErr != nil) {
			t.Fatalf("Split error = %v, reader's = %v", err, wantErr)
		}
		if err != nil {
			return
		}
		var got []string
		for _, d := range s.Documents {
			got = append(got, string(d.Text))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("documents (-reader +Split):\n%s", diff)
		}
		if back := s.Splice(make([][]byte, len(s.Documents))); !bytes.Equal(back, data) {
			t.Errorf("Splice without change altered the stream")
		}
	})
}
