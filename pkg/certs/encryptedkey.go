package certs

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des" //nolint:gosec // openssl wrote keys so until 2018, and they are only read
	"crypto/pbkdf2"
	"crypto/sha1" //nolint:gosec // the default of PBKDF2, and only read
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
)

// ErrPassphrase is one that does not open a private key.
var ErrPassphrase = errors.New("the passphrase does not open the private key")

// errUnknownCipher is an encryption that is not read here.
var errUnknownCipher = errors.New("the private key is encrypted in a way that is not read here")

// DecryptKey reads the one private key of a PEM text that is encrypted as PKCS #8
// says: PBES2 with PBKDF2, as openssl and step write it (CA-56). Keys that are
// encrypted with scrypt, or as openssl did before it knew PKCS #8, are refused. Its errors tell
// nothing of what the text holds.
func DecryptKey(text, passphrase []byte) (crypto.Signer, error) {
	blocks, faults := ScanBlocks(text)
	for _, f := range faults {
		if !f.Stray || f.Last {
			return nil, f
		}
	}
	if len(blocks) != 1 || blocks[0].Kind != encryptedBlock {
		return nil, fmt.Errorf("%w: expected one PEM block %s", errUnknownCipher, encryptedBlock)
	}
	plain, err := decrypt(blocks[0].Data, passphrase)
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	key, err := DecodeKey(plain)
	if err != nil {
		return nil, ErrPassphrase // what a wrong one leaves rarely looks right
	}
	return key, nil
}

// encryptedBlock is the type of PEM block of a key that is encrypted.
const encryptedBlock = "ENCRYPTED PRIVATE KEY"

// EncryptKey writes a private key as PEM, in PKCS #8, encrypted for other tools to
// read: PBES2 with PBKDF2, SHA-256 and AES-256 (CA-56). age, which the authority
// uses for itself, is the stronger one.
func EncryptKey(random io.Reader, key crypto.Signer, passphrase []byte) ([]byte, error) {
	const rounds, saltSize, keySize = 600_000, 16, 32
	plain, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	defer clear(plain)
	noise := make([]byte, saltSize+aes.BlockSize)
	if err := readFull(random, noise); err != nil {
		return nil, err
	}
	salt, start := noise[:saltSize], noise[saltSize:]
	secret, err := pbkdf2.Key(sha256.New, string(passphrase), salt, rounds, keySize)
	if err != nil {
		return nil, err
	}
	defer clear(secret)
	c, err := aes.NewCipher(secret)
	if err != nil {
		return nil, err
	}
	fill := aes.BlockSize - len(plain)%aes.BlockSize
	padded := slices.Concat(plain, bytes.Repeat([]byte{byte(fill)}, fill))
	defer clear(padded)
	data := make([]byte, len(padded))
	cipher.NewCBCEncrypter(c, start).CryptBlocks(data, padded)
	der, err := encryptedDER(salt, start, rounds, data)
	return pem.EncodeToMemory(&pem.Block{Type: encryptedBlock, Bytes: der}), err
}

func encryptedDER(salt, start []byte, rounds int, data []byte) ([]byte, error) {
	sum := pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}, Parameters: asn1.NullRawValue}
	derivation, err := asn1.Marshal(pbkdf2Parameters{Salt: salt, Rounds: rounds, Hash: sum})
	if err != nil {
		return nil, err
	}
	iv, err := asn1.Marshal(start)
	if err != nil {
		return nil, err
	}
	parameters, err := asn1.Marshal(pbes2{
		Derivation: pkix.AlgorithmIdentifier{Algorithm: pbkdf2ID(), Parameters: asn1.RawValue{FullBytes: derivation}},
		Cipher:     pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}, Parameters: asn1.RawValue{FullBytes: iv}},
	})
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(encryptedInfo{pkix.AlgorithmIdentifier{Algorithm: pbes2ID(), Parameters: asn1.RawValue{FullBytes: parameters}}, data})
}

func pbkdf2ID() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12} }

func pbes2ID() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13} }

// encryptedInfo is EncryptedPrivateKeyInfo of RFC 5958.
type encryptedInfo struct {
	Algorithm pkix.AlgorithmIdentifier
	Data      []byte
}

// pbes2 is PBES2-params of RFC 8018.
type pbes2 struct {
	Derivation, Cipher pkix.AlgorithmIdentifier
}

func decrypt(der, passphrase []byte) ([]byte, error) {
	var info encryptedInfo
	if rest, err := asn1.Unmarshal(der, &info); err != nil || len(rest) > 0 {
		return nil, errors.New("the private key is damaged")
	}
	var scheme pbes2
	if !info.Algorithm.Algorithm.Equal(pbes2ID()) || !unmarshal(info.Algorithm.Parameters, &scheme) {
		return nil, errUnknownCipher
	}
	block, size, err := blockCipher(scheme.Cipher.Algorithm)
	if err != nil {
		return nil, err
	}
	var start []byte
	if !unmarshal(scheme.Cipher.Parameters, &start) {
		return nil, errUnknownCipher
	}
	key, err := derive(scheme.Derivation, passphrase, size)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	c, err := block(key)
	if err != nil {
		return nil, errUnknownCipher
	}
	if len(start) != c.BlockSize() || len(info.Data) == 0 || len(info.Data)%c.BlockSize() != 0 {
		return nil, errors.New("the private key is damaged")
	}
	plain := bytes.Clone(info.Data)
	cipher.NewCBCDecrypter(c, start).CryptBlocks(plain, plain)
	return unpad(plain, c.BlockSize())
}

func unmarshal(value asn1.RawValue, into any) bool {
	rest, err := asn1.Unmarshal(value.FullBytes, into)
	return err == nil && len(rest) == 0
}

// unpad takes away what fills the last block.
func unpad(plain []byte, size int) ([]byte, error) {
	last := plain[len(plain)-1]
	n := int(last)
	if n == 0 || n > size || n > len(plain) || !bytes.Equal(plain[len(plain)-n:], bytes.Repeat([]byte{last}, n)) {
		return nil, ErrPassphrase
	}
	return plain[:len(plain)-n], nil
}

// blockCipher is a cipher and the size of its key, in bytes.
func blockCipher(id asn1.ObjectIdentifier) (func([]byte) (cipher.Block, error), int, error) {
	const aes128, aes192, aes256, tripleDES = 16, 24, 32, 24
	switch id.String() {
	case "2.16.840.1.101.3.4.1.2":
		return aes.NewCipher, aes128, nil
	case "2.16.840.1.101.3.4.1.22":
		return aes.NewCipher, aes192, nil
	case "2.16.840.1.101.3.4.1.42":
		return aes.NewCipher, aes256, nil
	case "1.2.840.113549.3.7":
		return des.NewTripleDESCipher, tripleDES, nil
	}
	return nil, 0, errUnknownCipher
}

// pbkdf2Parameters are PBKDF2-params of RFC 8018.
type pbkdf2Parameters struct {
	Salt   []byte
	Rounds int
	Size   int                      `asn1:"optional"`
	Hash   pkix.AlgorithmIdentifier `asn1:"optional"` // SHA-1 if it is left out
}

// derive makes a key of a passphrase. What would take more than seconds is refused.
func derive(by pkix.AlgorithmIdentifier, passphrase []byte, size int) ([]byte, error) {
	const most = 2_000_000
	var p pbkdf2Parameters
	if !by.Algorithm.Equal(pbkdf2ID()) || !unmarshal(by.Parameters, &p) || p.Rounds < 1 {
		return nil, errUnknownCipher
	}
	if p.Rounds > most {
		return nil, fmt.Errorf("the private key asks for %d rounds of hashing: at most %d are done", p.Rounds, most)
	}
	var sum func() hash.Hash
	switch p.Hash.Algorithm.String() {
	case "", "1.2.840.113549.2.7":
		sum = sha1.New
	case "1.2.840.113549.2.9":
		sum = sha256.New
	case "1.2.840.113549.2.10":
		sum = sha512.New384
	case "1.2.840.113549.2.11":
		sum = sha512.New
	default:
		return nil, errUnknownCipher
	}
	return pbkdf2.Key(sum, string(passphrase), p.Salt, p.Rounds, size)
}
