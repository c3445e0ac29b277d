package policy_test

import (
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/policy"
)

// TestFindSubject: the forms of a reference, and what is said of one that names
// nothing or too much.
func TestFindSubject(t *testing.T) {
	t.Parallel()
	const tokens = "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {name: ra, namespace: shop}\nspec: {}\n"
	s := snapshot(t, docs(workloadYAML, ap("app", "rules: [{}]"), ap("viewer", "rules: [{}]"), peerPolicy("viewer", ""), peerPolicy("viewer.other", ""), tokens, peerPolicy("shop.pa", ""), ap("twice", ""), ap("twice", "")), "")
	for _, tt := range []struct{ reference, namespace, want, err string }{
		{reference: "ap/viewer.shop", want: "AuthorizationPolicy shop/viewer"},
		{reference: "authorizationpolicy/viewer.shop", want: "AuthorizationPolicy shop/viewer"},
		{reference: "AuthorizationPolicies/viewer", namespace: "shop", want: "AuthorizationPolicy shop/viewer"},
		{reference: "pa/viewer", namespace: "shop", want: "PeerAuthentication shop/viewer"},
		{reference: "pa/viewer.other", namespace: "shop", want: "PeerAuthentication other/viewer"},
		{reference: "ra/ra.shop", want: "RequestAuthentication shop/ra"},
		{reference: "shop/ra", want: "RequestAuthentication shop/ra"},
		{reference: "deploy/app.shop", want: "Deployment shop/app"},
		{reference: "deploy/app", want: "Deployment shop/app"}, // of all namespaces
		{reference: "other/viewer", want: "PeerAuthentication other/viewer"},
		{reference: "pa/shop.pa", namespace: "pa", want: "PeerAuthentication pa/shop"},
		{reference: "shop/app", err: "shop/app names several objects: say which with authorizationpolicy/app.shop or deployment/app.shop"},
		{reference: "shop/viewer", err: "shop/viewer names several objects: say which with authorizationpolicy/viewer.shop or peerauthentication/viewer.shop"},
		{reference: "pa/viewer", err: "pa/viewer names several objects: say which with peerauthentication/viewer.other or peerauthentication/viewer.shop"},
		{reference: "ap/twice.shop", want: "AuthorizationPolicy shop/twice"},
		{reference: "ap/viewr.shop", err: "no ap/viewr.shop in the manifests; there are authorizationpolicy/viewer.shop, authorizationpolicy/app.shop, authorizationpolicy/twice.shop"},
		{reference: "deploy/ap.shop", err: "no deploy/ap.shop in the manifests; there are deployment/app.shop"},
		{reference: "shop/viewr", err: "no policy or workload shop/viewr in the manifests; there are authorizationpolicy/viewer.shop, peerauthentication/viewer.shop,"},
		{reference: "viewer", err: "viewer names several objects: say which with peerauthentication/viewer.other, authorizationpolicy/viewer.shop or peerauthentication/viewer.shop"},
		{reference: "ra", want: "RequestAuthentication shop/ra"},
		{reference: "ra", namespace: "other", err: "no policy or workload ra in the manifests; there are "},
		{reference: "ap/", err: `"ap/": expected KIND/NAME.NAMESPACE`},
		{reference: "a/b/c", err: `"a/b/c": expected KIND/NAME.NAMESPACE`},
		{reference: "/x", err: `"/x": expected KIND/NAME.NAMESPACE`},
	} {
		t.Run(tt.reference+" in "+tt.namespace, func(t *testing.T) {
			t.Parallel()
			subject, err := policy.FindSubject(s, tt.reference, tt.namespace)
			if tt.err != "" {
				if err == nil || !strings.HasPrefix(err.Error(), tt.err) {
					t.Errorf("error %v, want %s", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := subject.Object().String(); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
	if _, err := policy.FindSubject(snapshot(t, "", ""), "ap/x.y", ""); err == nil || err.Error() != "no policy or workload ap/x.y in the manifests, which have none" {
		t.Errorf("no manifests: %v", err)
	}
}
