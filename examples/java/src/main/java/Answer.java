import com.google.gson.Gson;
import io.nats.client.Connection;
import io.nats.client.Dispatcher;
import io.nats.client.Message;
import io.nats.client.Nats;
import io.nats.client.Options;
import java.io.IOException;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** Answers each call of the application demo, plays a sound, reads digits up to #, and hangs up. */
public final class Answer {
  private static final Gson JSON = new Gson();

  record AppStart(String dialog_id, String channel_id) {}

  record Event(String type, String ari_body) {}

  record Pressed(String digit) {}

  record Command(String unique_id, String url, String method, String body) {}

  record CommandResponse(int status_code, String response_body) {}

  private final Connection bus;
  private final Set<String> served = ConcurrentHashMap.newKeySet(); // An AppStart may come twice.
  private final ThreadPoolExecutor calls;

  Answer(Connection bus, int limit) {
    this.bus = bus;
    calls = new ThreadPoolExecutor(0, limit, 1, TimeUnit.SECONDS, new SynchronousQueue<>());
  }

  private static <T> T read(Message message, Class<T> type) {
    return JSON.fromJson(new String(message.getData(), StandardCharsets.UTF_8), type);
  }

  private void execute(String dialog, String method, String url)
      throws IOException, InterruptedException {
    var command = new Command(UUID.randomUUID().toString(), url, method, "");
    var payload = JSON.toJson(command).getBytes(StandardCharsets.UTF_8);
    var answer = bus.request("commands_" + dialog, payload, Duration.ofSeconds(15));
    if (answer == null) {
      throw new IOException(method + " " + url + ": no answer");
    }
    var response = read(answer, CommandResponse.class);
    if (response.status_code() >= 400) {
      throw new IOException(method + " " + url + ": " + response);
    }
  }

  private String serve(String dialog, String channel) throws IOException, InterruptedException {
    // In paths, too, a plus is a blank.
    var path = "/channels/" + URLEncoder.encode(channel, StandardCharsets.UTF_8);
    var digits = new StringBuilder();
    var events = bus.subscribe("events_" + dialog);
    try {
      while (true) {
        var event = read(events.nextMessage(Duration.ZERO), Event.class);
        switch (event.type()) {
          case "StasisStart" -> {
            execute(dialog, "POST", path + "/answer");
            execute(dialog, "POST", path + "/play?media=sound:hello-world");
          }
          case "ChannelDtmfReceived" -> {
            var digit = JSON.fromJson(event.ari_body(), Pressed.class).digit();
            if (digit.equals("#")) {
              execute(dialog, "DELETE", path);
            } else {
              digits.append(digit);
            }
          }
          case "ProxyGap" -> execute(dialog, "GET", path); // Events are missing: is it still there?
          case "StasisEnd", "ProxyDialogEnded" -> {
            return digits.toString();
          }
          default -> {} // All others, and ProxyProbe, need no answer.
        }
      }
    } finally {
      events.unsubscribe();
    }
  }

  private void take(Message message) {
    var start = read(message, AppStart.class);
    var dialog = start.dialog_id();
    if (!served.add(dialog)) {
      return;
    }
    try {
      calls.execute(
          () -> {
            try {
              System.out.println("served " + dialog + ": digits " + serve(dialog, start.channel_id()));
            } catch (IOException | InterruptedException | RuntimeException error) {
              System.err.println("left " + dialog + " to ari-proxy: " + error);
            } finally {
              served.remove(dialog);
            }
          });
    } catch (RejectedExecutionException full) {
      served.remove(dialog);
      var declined = JSON.toJson(Map.of("decline", true, "reason", "no capacity"));
      bus.publish(message.getReplyTo(), declined.getBytes(StandardCharsets.UTF_8));
    }
  }

  /** Takes no new calls, and returns when those that are up are over. */
  private void end(Dispatcher starts) {
    try {
      starts.drain(Duration.ofSeconds(10)).get();
      calls.shutdown();
      calls.awaitTermination(1, TimeUnit.DAYS);
      bus.drain(Duration.ofSeconds(10)).get();
    } catch (ExecutionException | InterruptedException | TimeoutException error) {
      System.err.println(error);
    }
  }

  public static void main(String[] arguments) throws Exception {
    var environment = System.getenv();
    var server = environment.getOrDefault("NATS_URL", Options.DEFAULT_URL);
    var bus = Nats.connect(Options.builder().server(server).maxReconnects(-1).build());
    var answer = new Answer(bus, Integer.parseInt(environment.getOrDefault("LIMIT", "100")));
    var starts = bus.createDispatcher(answer::take);
    starts.subscribe("demo", "demo-workers");
    Runtime.getRuntime().addShutdownHook(new Thread(() -> answer.end(starts)));
    System.out.println("ready");
  }
}
