package ca

import (
	"context"
	"crypto/x509"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"time"
)

// Result is what became of a request.
type Result string

// The results.
const (
	New     Result = "issued"
	Renewed Result = "renewed"
	Kept    Result = "kept"
	// Updated keeps key and leaf, with what is above them anew.
	Updated Result = "updated"
)

// Delivery is a request and what became of it.
type Delivery struct {
	ID       string    `json:"id"`
	Result   Result    `json:"result"`
	Why      string    `json:"why,omitempty"`
	Serial   string    `json:"serial,omitempty"`
	NotAfter time.Time `json:"notAfter,omitzero"`
	Place    string    `json:"place,omitempty"`
}

// Plan is what to do for requests, given what the workloads have.
type Plan struct {
	Deliveries []Delivery
	requests   []Request
	kept       []*Issued // nil to issue
}

// PlanOptions say what to issue.
type PlanOptions struct {
	Renew bool // issue again what could be kept
	// Force writes over what this authority did not write.
	Force bool
}

// plan compares requests with what is held. What is held and cannot be kept has a
// reason why.
func (a *Authority) plan(requests []Request, o PlanOptions, held func(i int) (had *Issued, why string)) (*Plan, error) {
	if err := a.checkSigner(); err != nil { // what is kept needs it as well
		return nil, err
	}
	revoked, err := a.revocations()
	if err != nil {
		return nil, err
	}
	p := &Plan{requests: requests, kept: make([]*Issued, len(requests)), Deliveries: make([]Delivery, len(requests))}
	for i := range requests {
		d := &p.Deliveries[i]
		d.ID, d.Result = requests[i].ID.String(), New
		had, why := held(i)
		if had == nil {
			continue
		}
		d.Why = why
		if o.Renew || why != "" || !a.Keep(had.Leaf(), &requests[i], revoked) {
			d.Result = Renewed
			continue
		}
		now := &Issued{ID: had.ID, Key: had.Key, Chain: append([]*x509.Certificate{had.Leaf()}, a.between()...), Roots: a.Roots()}
		d.Result = Kept
		if !same(now.Chain, had.Chain) || !same(now.Roots, had.Roots) {
			d.Result = Updated
		}
		p.kept[i] = now
		d.Serial, d.NotAfter = hexSerial(now.Leaf().SerialNumber), now.Leaf().NotAfter
	}
	return p, nil
}

// issue makes what the plan does not keep, and gives all, in order.
func (a *Authority) issue(ctx context.Context, p *Plan) ([]Issued, error) {
	var missing []Request
	for i, kept := range p.kept {
		if kept == nil {
			missing = append(missing, p.requests[i])
		}
	}
	made, err := a.Issue(ctx, missing)
	if err != nil {
		return nil, err
	}
	all := make([]Issued, len(p.kept))
	for i, kept := range p.kept {
		if kept != nil {
			all[i] = *kept
			continue
		}
		all[i], made = made[0], made[1:]
		p.Deliveries[i].Serial, p.Deliveries[i].NotAfter = hexSerial(all[i].Leaf().SerialNumber), all[i].Leaf().NotAfter
	}
	return all, nil
}

// DeliverOptions say how to write folders.
type DeliverOptions struct {
	PlanOptions
	Dir      string
	Layout   Layout
	Password string // of PKCS #12 files
	// Bundles say, for each request, where its folder is and what else goes there.
	// None is the identity's own folder, and nothing else.
	Bundles []Bundle
}

// PlanFolders says what Deliver would do.
func (a *Authority) PlanFolders(requests []Request, o DeliverOptions) (*Plan, error) {
	if err := a.checkDomains(requests); err != nil {
		return nil, err
	}
	places, err := o.places(requests)
	if err != nil {
		return nil, err
	}
	if err := a.checkOurs(requests, places, o); err != nil {
		return nil, err
	}
	p, err := a.plan(requests, o.PlanOptions, func(i int) (*Issued, string) {
		dir := filepath.Join(o.Dir, places[i])
		had, err := o.Layout.read(dir, requests[i].ID, o.Password)
		if err != nil {
			return nil, "" // whatever is there is no use
		}
		return had, a.exposed(dir, o.Layout)
	})
	if err != nil {
		return nil, err
	}
	for i := range places {
		d := &p.Deliveries[i]
		d.Place = filepath.Join(o.Dir, places[i])
		if d.Result == Kept && o.Bundles != nil && !o.Bundles[i].isAt(d.Place) {
			d.Result = Updated
		}
	}
	return p, nil
}

// Deliver writes a folder an identity, and issues what is missing in them
// (CA-74).
func (a *Authority) Deliver(ctx context.Context, requests []Request, o DeliverOptions) ([]Delivery, error) {
	p, err := a.PlanFolders(requests, o)
	if err != nil {
		return nil, err
	}
	n := p.changes()
	if n == 0 {
		return p.Deliveries, nil
	}
	w, err := newWriter(o.Dir, n, a.env.Step) // what cannot be written is not issued
	if err != nil {
		return nil, err
	}
	places, content, err := a.content(ctx, p, o)
	if err != nil {
		return nil, errors.Join(err, w.abandon())
	}
	return p.Deliveries, w.put(places, content)
}

// changes counts the folders that do not stay as they are.
func (p *Plan) changes() int {
	n := 0
	for _, d := range p.Deliveries {
		if d.Result != Kept {
			n++
		}
	}
	return n
}

// content issues, and gives the folders to write with their files.
func (a *Authority) content(ctx context.Context, p *Plan, o DeliverOptions) (places []string, content [][]file, err error) {
	all, err := a.issue(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	for i := range all {
		if p.Deliveries[i].Result == Kept {
			continue
		}
		files, err := o.files(i, &all[i])
		if err != nil {
			return nil, nil, err
		}
		place, err := filepath.Rel(o.Dir, p.Deliveries[i].Place)
		if err != nil {
			return nil, nil, err
		}
		places, content = append(places, place), append(content, files)
	}
	return places, content, nil
}

func (o *DeliverOptions) files(i int, issued *Issued) ([]file, error) {
	files, err := o.Layout.files(issued, o.Password)
	if err != nil || o.Bundles == nil {
		return files, err
	}
	for _, name := range slices.Sorted(maps.Keys(o.Bundles[i].Files)) {
		files = append(files, file{name, o.Bundles[i].Files[name]})
	}
	slices.SortStableFunc(files, func(x, y file) int { return order(x.name) - order(y.name) })
	return files, nil
}

// places are the folders of requests, below the folder of all.
func (o *DeliverOptions) places(requests []Request) ([]string, error) {
	if o.Bundles == nil {
		return folders(requests)
	}
	return bundleFolders(o.Bundles)
}

// order puts certificates last.
func order(name string) int {
	if name == chainFile {
		return 1
	}
	return 0
}
