package tributary.connect;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import org.apache.avro.Schema;
import org.apache.kafka.connect.errors.ConnectException;
import org.apache.kafka.connect.errors.DataException;
import org.apache.kafka.connect.errors.RetriableException;

/** Registers Avro schemas through the Confluent API. */
final class SchemaRegistry {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Duration REQUEST_MAX = Duration.ofSeconds(15);
  private static final int ATTEMPTS_MAX = 5;
  private static final long FIRST_BACK_OFF_MS = 200;

  private final HttpClient http =
      HttpClient.newBuilder()
          .version(HttpClient.Version.HTTP_1_1)
          .connectTimeout(Duration.ofSeconds(5))
          .build();
  private final String baseUrl;

  SchemaRegistry(String url) {
    baseUrl = url.endsWith("/") ? url.substring(0, url.length() - 1) : url;
  }

  /**
   * Returns the schema's id, registering it if it is new. A refusal is a DataException; a registry that stays out of
   * reach is a RetriableException, so that the task tries again rather than fails.
   */
  int register(String subject, Schema schema) {
    HttpRequest request = request(subject, schema);
    for (int attempt = 1; ; attempt++) {
      try {
        HttpResponse<String> response = http.send(request, BodyHandlers.ofString());
        if (response.statusCode() == 200) {
          return JSON.readTree(response.body()).get("id").intValue();
        }
        String answer = "registry answered " + response.statusCode() + " for " + subject;
        if (response.statusCode() < 500) {
          throw new DataException(answer + ": " + response.body());
        }
        throw new IOException(answer);
      } catch (IOException e) {
        if (attempt == ATTEMPTS_MAX) {
          throw new RetriableException("cannot register " + subject, e);
        }
        pause(FIRST_BACK_OFF_MS << attempt);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new ConnectException("interrupted while registering " + subject, e);
      }
    }
  }

  private HttpRequest request(String subject, Schema schema) {
    String path = "/subjects/" + URLEncoder.encode(subject, StandardCharsets.UTF_8) + "/versions";
    String body =
        JSON.createObjectNode().put("schemaType", "AVRO").put("schema", schema.toString()).toString();
    return HttpRequest.newBuilder(URI.create(baseUrl + path))
        .timeout(REQUEST_MAX)
        .header("Content-Type", "application/vnd.schemaregistry.v1+json")
        .POST(HttpRequest.BodyPublishers.ofString(body))
        .build();
  }

  private static void pause(long millis) {
    try {
      Thread.sleep(millis);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new ConnectException("interrupted while waiting for the registry", e);
    }
  }
}
