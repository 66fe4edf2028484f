//go:build !memberlist_v0_1_7

package main

import "github.com/hashicorp/memberlist"

func setLabel(config *memberlist.Config, label string) error {
	config.Label = label
	return nil
}
