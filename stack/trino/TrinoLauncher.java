import io.trino.server.Server;

/** Starts the server of Trino's published jars: the launcher that the tarball carries is not among them. */
public final class TrinoLauncher {
  private TrinoLauncher() {}

  public static void main(String[] arguments) {
    String version = Server.class.getPackage().getImplementationVersion();
    new Server().start(version == null ? "unknown" : version);
  }
}
