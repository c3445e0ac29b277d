package validation

import (
	"google.golang.org/protobuf/proto"
	networking "istio.io/api/networking/v1alpha3"
	security "istio.io/api/security/v1beta1"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// Check validates the decoded spec of an object. It finds nothing in kinds that
// it does not know.
func Check(o *mesh.Object, spec proto.Message) []Problem {
	switch s := spec.(type) {
	case *security.AuthorizationPolicy:
		return AuthorizationPolicy(&mesh.AuthorizationPolicy{Object: o, Spec: s})
	case *security.PeerAuthentication:
		return PeerAuthentication(&mesh.PeerAuthentication{Object: o, Spec: s})
	case *security.RequestAuthentication:
		return RequestAuthentication(&mesh.RequestAuthentication{Object: o, Spec: s})
	case *networking.DestinationRule:
		return DestinationRule(&mesh.DestinationRule{Object: o, Spec: s})
	}
	return nil
}
