package inject

import (
	"bytes"
	"context"
	"encoding/json"

	"sigs.k8s.io/yaml"

	"github.com/meshctl/meshctl/internal/workers"
	"github.com/meshctl/meshctl/pkg/manifest"
)

// Engine changes the pods of documents: an Injector's or an Uninjector's
// Document.
type Engine func(*manifest.Document) (*Result, error)

// Output is a stream and what became of each of its documents.
type Output struct {
	Stream  *manifest.Stream
	Results []*Result
	engine  Engine
}

// Run applies an engine to all documents, several at a time, and keeps their
// order. It fails with the errors of all documents, joined.
func Run(ctx context.Context, streams []*manifest.Stream, engine Engine) ([]Output, error) {
	type job struct{ stream, document int }
	outputs := make([]Output, len(streams))
	var jobs []job
	for s, stream := range streams {
		outputs[s] = Output{Stream: stream, Results: make([]*Result, len(stream.Documents)), engine: engine}
		for d := range stream.Documents {
			jobs = append(jobs, job{s, d})
		}
	}
	err := workers.Each(ctx, len(jobs), 1, func(n int) (err error) {
		o, d := &outputs[jobs[n].stream], jobs[n].document
		o.Results[d], err = engine(&o.Stream.Documents[d])
		return err
	})
	if err != nil {
		return nil, err
	}
	return outputs, nil
}

// Outcomes lists what became of every object.
func (o Output) Outcomes() []Outcome {
	var all []Outcome
	for _, r := range o.Results {
		for _, c := range r.Changes {
			all = append(all, c.Outcome)
		}
	}
	return all
}

// Canonical writes the stream as the peer does (INJ-3, INJ-7): every document
// followed by "---", objects of registered kinds in canonical form, all others
// as they were written.
func (o Output) Canonical(ctx context.Context, encoder *manifest.Encoder) ([]byte, error) {
	parts := make([][]byte, len(o.Results))
	err := workers.Each(ctx, len(parts), 1, func(d int) (err error) {
		if r := o.Results[d]; r.After == nil {
			parts[d] = o.Stream.Documents[d].Text
		} else {
			parts[d], err = encoder.FromJSON(r.After)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	for _, part := range parts {
		out.Write(part)
		out.WriteString("---\n")
	}
	return out.Bytes(), nil
}

// JSON lists every object of the stream, changed ones in canonical form.
func (o Output) JSON() ([]json.RawMessage, error) {
	var objects []json.RawMessage
	for d, r := range o.Results {
		text := []byte(r.After)
		if text == nil {
			var err error
			if text, err = yaml.YAMLToJSON(o.Stream.Documents[d].Text); err != nil {
				return nil, err
			}
		}
		if string(text) != "null" { // a document of comments only
			objects = append(objects, text)
		}
	}
	return objects, nil
}
