package policy

import (
	"fmt"
	"net/http"
)

// jwtStatus is the result of verifying tokens.
type jwtStatus int

const (
	jwtOK jwtStatus = iota
	jwtMissing
	jwtUnknownIssuer
	jwtMalformed
	jwtParts
	jwtHeader
	jwtAlgorithm
	jwtPayload
	jwtClaims
	jwtTooEarly
	jwtExpired
	jwtAudience
	jwtSignature
	jwtNoKey
	jwtPending // the keys are not here
)

// outcome is what a failure means to the client: 401, but 403 for an audience
// (RA-5).
func (s jwtStatus) outcome() (Outcome, int) {
	if s == jwtAudience {
		return Deny, http.StatusForbidden
	}
	return Unauthenticated, http.StatusUnauthorized
}

func (s jwtStatus) String() string {
	return map[jwtStatus]string{
		jwtMissing: "no token", jwtUnknownIssuer: "issuer is not configured", jwtMalformed: "token is malformed",
		jwtParts:     "token is malformed: not three parts in base64url",
		jwtHeader:    "token is malformed: its header is not a JSON object as it should be",
		jwtAlgorithm: "token is malformed: its alg is missing or not supported",
		jwtPayload:   "token is malformed: its payload is not a JSON object without repeated names",
		jwtClaims:    "token is malformed: a registered claim is of another type than it should be",
		jwtTooEarly:  "token is not valid yet", jwtExpired: "token is expired", jwtAudience: "audience is not allowed",
		jwtSignature: "signature does not verify", jwtNoKey: "no key has the token's kid and alg",
	}[s]
}

// describe says why tokens failed, for people.
func (s jwtStatus) describe() string { return fmt.Sprintf("request authentication: %v", s) }
