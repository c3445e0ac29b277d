// Package jwt signs tokens for trying out RequestAuthentication, and writes the
// keys that they are verified with.
//
//	signer, err := jwt.NewSigner(key)
//	token, err := signer.Sign(jwt.Claims{Issuer: "https://issuer.example", Subject: "alice", Audiences: []string{"web"}}, time.Now())
//	keys, err := signer.JWKS()
//
// The key is one of its own: that of an authority signs certificates only.
//
// Rules are cited as in the reference: CA.
package jwt
