// Answers each call of the application demo, plays a sound, reads digits up to #, and hangs up.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"
)

func execute(bus *nats.Conn, dialog, method, url string) error {
	command, _ := json.Marshal(map[string]string{"unique_id": nuid.Next(), "url": url, "method": method, "body": ""})
	answer, err := bus.Request("commands_"+dialog, command, 15*time.Second)
	if err != nil {
		return err
	}
	var response struct {
		Status int    `json:"status_code"`
		Body   string `json:"response_body"`
	}
	if err := json.Unmarshal(answer.Data, &response); err != nil {
		return err
	}
	if response.Status >= 400 {
		return fmt.Errorf("%s %s: %d %s", method, url, response.Status, response.Body)
	}
	return nil
}

func serve(bus *nats.Conn, dialog, channel string) (digits string, err error) {
	events, err := bus.SubscribeSync("events_" + dialog)
	if err != nil {
		return "", err
	}
	defer events.Unsubscribe()
	path := "/channels/" + url.QueryEscape(channel) // A plus is a blank there, too.
	for message, err := range events.Msgs() {
		var event struct {
			Type string `json:"type"`
			Body string `json:"ari_body"`
		}
		if err == nil {
			err = json.Unmarshal(message.Data, &event)
		}
		switch event.Type {
		case "StasisStart":
			if err = execute(bus, dialog, "POST", path+"/answer"); err == nil {
				err = execute(bus, dialog, "POST", path+"/play?media=sound:hello-world")
			}
		case "ChannelDtmfReceived":
			var pressed struct {
				Digit string `json:"digit"`
			}
			if err = json.Unmarshal([]byte(event.Body), &pressed); pressed.Digit == "#" {
				err = execute(bus, dialog, "DELETE", path)
			} else {
				digits += pressed.Digit
			}
		case "ProxyGap": // Events are missing: is it still there?
			err = execute(bus, dialog, "GET", path)
		case "StasisEnd", "ProxyDialogEnded":
			return digits, nil
		} // All others, and ProxyProbe, need no answer.
		if err != nil {
			return digits, err
		}
	}
	return digits, nil
}

func main() {
	limit, err := strconv.Atoi(cmp.Or(os.Getenv("LIMIT"), "100"))
	if err != nil {
		log.Fatal("LIMIT: ", err)
	}
	bus, err := nats.Connect(cmp.Or(os.Getenv("NATS_URL"), nats.DefaultURL), nats.MaxReconnects(-1))
	if err != nil {
		log.Fatal(err)
	}
	starts, err := bus.QueueSubscribeSync("demo", "demo-workers")
	if err != nil {
		log.Fatal(err)
	}
	ending, _ := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	context.AfterFunc(ending, func() { starts.Drain() }) // No new calls; those that are up go on.
	log.Print("ready")
	var served sync.Map // By dialog: an AppStart may come twice.
	var calls sync.WaitGroup
	free := make(chan struct{}, limit)
	for message, err := range starts.Msgs() {
		var start struct {
			Dialog  string `json:"dialog_id"`
			Channel string `json:"channel_id"`
		}
		if err != nil || json.Unmarshal(message.Data, &start) != nil {
			break // Drained.
		}
		if _, isServed := served.Load(start.Dialog); isServed {
			continue
		}
		select {
		case free <- struct{}{}:
			served.Store(start.Dialog, true)
			calls.Go(func() {
				digits, err := serve(bus, start.Dialog, start.Channel)
				if err != nil {
					log.Printf("left %s to ari-proxy: %v", start.Dialog, err)
				} else {
					log.Printf("served %s: digits %s", start.Dialog, digits)
				}
				served.Delete(start.Dialog)
				<-free
			})
		default:
			message.Respond([]byte(`{"decline": true, "reason": "no capacity"}`))
		}
	}
	calls.Wait()
	bus.Drain()
}
