// Package client holds a Go client's types, which lint.sh beside it generates from the API's description, to see that
// they compile and ask of a caller no more than the API does.
package client

import ( // what the generated file imports; that file is in no commit
	_ "github.com/oapi-codegen/runtime"
	_ "github.com/oapi-codegen/runtime/types"
)
