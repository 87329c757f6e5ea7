package autoconfig

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"time"
)

// The structures of RFC 5652, 5: SignedData with its content inside, one signer,
// and the chain of certificates.
type contentInfo struct {
	Type    asn1.ObjectIdentifier
	Content signedData `asn1:"explicit,tag:0"`
}

type signedData struct {
	Version      int
	Digests      []pkix.AlgorithmIdentifier `asn1:"set"`
	Content      encapsulated
	Certificates asn1.RawValue // [0] IMPLICIT SET
	Signers      []signerInfo  `asn1:"set"`
}

type encapsulated struct {
	Type    asn1.ObjectIdentifier
	Content []byte `asn1:"explicit,tag:0"`
}

type signerInfo struct {
	Version    int
	Signer     issuerAndSerial
	Digest     pkix.AlgorithmIdentifier
	Attributes asn1.RawValue // [0] IMPLICIT SET
	Algorithm  pkix.AlgorithmIdentifier
	Signature  []byte
}

type issuerAndSerial struct {
	Issuer asn1.RawValue
	Serial *big.Int
}

type attribute struct {
	Type   asn1.ObjectIdentifier
	Values []any `asn1:"set"`
}

// oid makes an object identifier of its numbers.
func oid(n ...int) asn1.ObjectIdentifier { return n }

// algorithms says how a key signs with SHA-256 (RFC 5754, 2.2, 3.2 and 3.3).
// Devices of Apple know no other kinds of keys, nor do the authorities.
func algorithms(key crypto.PublicKey) (digest, signature pkix.AlgorithmIdentifier, err error) {
	digest.Algorithm = oid(2, 16, 840, 1, 101, 3, 4, 2, 1)
	switch key.(type) {
	case *ecdsa.PublicKey:
		signature.Algorithm = oid(1, 2, 840, 10045, 4, 3, 2)
	case *rsa.PublicKey:
		signature = pkix.AlgorithmIdentifier{Algorithm: oid(1, 2, 840, 113549, 1, 1, 1), Parameters: asn1.NullRawValue}
	default:
		err = fmt.Errorf("a key of type %T cannot sign profiles", key)
	}
	return digest, signature, err
}

// sign wraps content into SignedData of the certificate and its chain, as DER.
func sign(content []byte, cert *tls.Certificate, now time.Time) ([]byte, error) {
	key, ok := cert.PrivateKey.(crypto.Signer)
	if !ok || len(cert.Certificate) == 0 {
		return nil, fmt.Errorf("a key of type %T cannot sign profiles", cert.PrivateKey)
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	digest, signature, err := algorithms(key.Public())
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(content)
	attributes, err := signedAttributes(sum[:], now)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	sum = sha256.Sum256(attributes.FullBytes) // as a SET, not as it is tagged below (RFC 5652, 5.4)
	sig, err := key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	data := oid(1, 2, 840, 113549, 1, 7, 1)
	return asn1.Marshal(contentInfo{
		Type: oid(1, 2, 840, 113549, 1, 7, 2),
		Content: signedData{
			Version: 1, Digests: []pkix.AlgorithmIdentifier{digest}, Content: encapsulated{data, content},
			Certificates: implicitSet(join(cert.Certificate)),
			Signers: []signerInfo{{
				Version: 1, Signer: issuerAndSerial{asn1.RawValue{FullBytes: leaf.RawIssuer}, leaf.SerialNumber},
				Digest: digest, Attributes: implicitSet(attributes.Bytes), Algorithm: signature, Signature: sig,
			}},
		},
	})
}

// signedAttributes is the SET of content type, time, and digest (RFC 5652, 11).
func signedAttributes(digest []byte, now time.Time) (set asn1.RawValue, err error) {
	der, err := asn1.MarshalWithParams([]attribute{
		{oid(1, 2, 840, 113549, 1, 9, 3), []any{oid(1, 2, 840, 113549, 1, 7, 1)}},
		{oid(1, 2, 840, 113549, 1, 9, 5), []any{now.UTC()}},
		{oid(1, 2, 840, 113549, 1, 9, 4), []any{digest}},
	}, "set")
	if err == nil {
		_, err = asn1.Unmarshal(der, &set)
	}
	return set, err
}

func implicitSet(bytes []byte) asn1.RawValue {
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: bytes}
}

// join puts a chain together as it is, the signer's certificate first.
func join(chain [][]byte) []byte {
	var all []byte
	for _, der := range chain {
		all = append(all, der...)
	}
	return all
}
