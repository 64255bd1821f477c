package engine

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/fault"
)

// A cursor is Temporal's token behind a checksum of it and of the tenant. Temporal calls a token that is
// none of its own a failure to be tried again, which the SDK does for seconds: what was cut off, mistyped
// or another list's is found here. The checksum is no signature, for a token opens nothing: the query
// names the tenant.

func cursorOf(tenant uuid.UUID, token []byte) string {
	if len(token) == 0 {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(append(checksum(tenant, token), token...))
}

func tokenOf(tenant uuid.UUID, cursor string) ([]byte, error) {
	if cursor == "" {
		return nil, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(raw) <= crc32.Size || !bytes.Equal(raw[:crc32.Size], checksum(tenant, raw[crc32.Size:])) {
		return nil, fault.New(fault.Malformed, "The cursor is not one of this list.")
	}
	return raw[crc32.Size:], nil
}

func checksum(tenant uuid.UUID, token []byte) []byte {
	return binary.BigEndian.AppendUint32(nil, crc32.Update(crc32.ChecksumIEEE(tenant[:]), crc32.IEEETable, token))
}
