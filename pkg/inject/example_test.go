package inject_test

import (
	"context"
	"fmt"

	"github.com/meshctl/meshctl/pkg/inject"
	"github.com/meshctl/meshctl/pkg/inject/profile"
	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
)

func Example() {
	values, err := inject.ParseValues(profile.Values())
	if err != nil {
		panic(err)
	}
	injector, err := inject.New(inject.Options{Config: profile.Config(), Values: values, Mesh: mesh.DefaultConfig()})
	if err != nil {
		panic(err)
	}
	stream, err := manifest.Read("app.yaml", []byte("apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: app, image: web:1}]}\n"))
	if err != nil {
		panic(err)
	}
	outputs, err := inject.Run(context.Background(), []*manifest.Stream{stream}, injector.Document)
	if err != nil {
		panic(err)
	}
	for _, o := range outputs[0].Outcomes() {
		fmt.Println(o.Object, "->", o.Reason, o.Image)
	}
	// Output: Pod web -> injected registry.istio.io/release/proxyv2:1.31.4
}
