package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"hash/crc32"
	"strings"
)

// An API key is "lari_" + 12 characters that name it + "_" + 40 characters of secret (238 bits) + 6
// characters of checksum, all base62. The fixed beginning lets scanners find leaked keys, the checksum
// (CRC-32 of all that precedes it, as GitHub's tokens carry one) lets garbage be refused without asking
// the database.
const (
	KeyPrefix = "lari_"

	keyIDLength       = 12
	keySecretLength   = 40
	keyChecksumLength = 6
	keyLength         = len(KeyPrefix) + keyIDLength + 1 + keySecretLength + keyChecksumLength

	base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// NewKey makes an API key. plain is shown to its owner once; id (public, unique) and hash are stored.
func NewKey() (plain, id string, hash []byte, err error) {
	random, err := randomBase62(keyIDLength + keySecretLength)
	if err != nil {
		return "", "", nil, fmt.Errorf("API key: %w", err)
	}
	id, secret := random[:keyIDLength], random[keyIDLength:]
	body := KeyPrefix + id + "_" + secret
	return body + keyChecksum(body), id, hashSecret(secret), nil
}

// ParseKey takes a key apart without asking anybody. A text that is not a key is Unauthenticated.
func ParseKey(key string) (id string, secretHash []byte, err error) {
	if !strings.HasPrefix(key, KeyPrefix) || len(key) != keyLength {
		return "", nil, refuse("the API key is not of the form %s<%d characters>_<%d characters>",
			KeyPrefix, keyIDLength, keySecretLength+keyChecksumLength)
	}
	body, checksum := key[:keyLength-keyChecksumLength], key[keyLength-keyChecksumLength:]
	id, secret, _ := strings.Cut(body[len(KeyPrefix):], "_")
	if !allBase62(id, keyIDLength) || !allBase62(secret, keySecretLength) || keyChecksum(body) != checksum {
		return "", nil, refuse("the API key is mistyped: its checksum does not hold")
	}
	return id, hashSecret(secret), nil
}

// hashSecret is one round of SHA-256 and no slow password hash on purpose: the secret is 238 random
// bits, which no attacker can guess at any speed, and it is checked on every request.
func hashSecret(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

func keyChecksum(body string) string {
	rest := crc32.ChecksumIEEE([]byte(body))
	var digits [keyChecksumLength]byte // 62^6 > 2^32
	for i := len(digits) - 1; i >= 0; i-- {
		digits[i] = base62[rest%62]
		rest /= 62
	}
	return string(digits[:])
}

// randomBase62 throws away bytes of 248 and above, which would make the first characters likelier.
func randomBase62(n int) (string, error) {
	const unbiased = 256 / 62 * 62
	out := make([]byte, 0, n)
	buffer := make([]byte, n)
	for {
		if _, err := rand.Read(buffer); err != nil {
			return "", fmt.Errorf("random bytes: %w", err)
		}
		for _, b := range buffer {
			if b >= unbiased {
				continue
			}
			if out = append(out, base62[b%62]); len(out) == n {
				return string(out), nil
			}
		}
	}
}

func allBase62(s string, length int) bool {
	for _, c := range []byte(s) {
		if !isBase62(c) {
			return false
		}
	}
	return len(s) == length
}

func isBase62(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}
