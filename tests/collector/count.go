package collector

import "google.golang.org/protobuf/encoding/protowire"

// countSpans counts the spans of a request without unpacking them: resource_spans.scope_spans.spans are the fields 1, 2
// and 2 of their messages.
func countSpans(request []byte) (int64, error) {
	return count(request, []protowire.Number{1, 2, 2})
}

func count(message []byte, path []protowire.Number) (n int64, err error) {
	if len(path) == 0 {
		return 1, nil
	}
	for len(message) > 0 {
		field, kind, length := protowire.ConsumeTag(message)
		if length < 0 {
			return n, protowire.ParseError(length)
		}
		message = message[length:]
		if field == path[0] && kind == protowire.BytesType {
			part, length := protowire.ConsumeBytes(message)
			if length < 0 {
				return n, protowire.ParseError(length)
			}
			within, err := count(part, path[1:])
			if n += within; err != nil {
				return n, err
			}
			message = message[length:]
			continue
		}
		if length = protowire.ConsumeFieldValue(field, kind, message); length < 0 {
			return n, protowire.ParseError(length)
		}
		message = message[length:]
	}
	return n, nil
}
