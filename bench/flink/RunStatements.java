import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.GlobalConfiguration;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;

/**
 * Runs the statements of a file on the cluster that a configuration folder names, and prints the id of each job: the
 * SQL client needs jars that are not published. Arguments: configuration folder, file.
 */
public final class RunStatements {
  public static void main(String[] arguments) throws Exception {
    Configuration configuration = GlobalConfiguration.loadConfiguration(arguments[0]);
    EnvironmentSettings settings =
        EnvironmentSettings.newInstance().inStreamingMode().withConfiguration(configuration).build();
    TableEnvironment environment = TableEnvironment.create(settings);
    for (String statement : Files.readString(Path.of(arguments[1])).split(";\\s*\n")) {
      if (statement.isBlank()) continue;
      environment
          .executeSql(statement)
          .getJobClient()
          .ifPresent(job -> System.out.println("job " + job.getJobID()));
    }
  }
}
