//go:build memberlist_v0_1_7

package main

import (
	"errors"

	"github.com/hashicorp/memberlist"
)

func setLabel(_ *memberlist.Config, label string) error {
	if label != "" {
		return errors.New("v0.1.7 of memberlist knows no labels")
	}
	return nil
}
