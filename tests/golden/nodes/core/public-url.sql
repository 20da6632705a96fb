-- Addresses of Identity Server's clients of the farm orchestrator-prod
-- Made by nlbgen VERSION from the spec with digest b19b18d070c3158f.
-- Do not edit: change the spec and run `nlbgen render nodes` again.
-- The addresses to which Identity Server sends users back, in its database: the farm's address instead of a node's.
-- Run it against SQL01\PROD, after a backup of the database (sqlcmd: -f 65001 -y 0 -i public-url.sql).
--
-- As it is, it only shows the rows. Save the result: the statements of the column [rollback] undo the change.
-- To change the rows, write @apply bit = 1 below, and run it again: it changes all of them or none.
USE [UiPath];
SET NOCOUNT ON;
SET XACT_ABORT ON;

DECLARE @apply bit = 0;
DECLARE @new nvarchar(400) = N'https://orchestrator.corp.example';
DECLARE @old TABLE ([origin] nvarchar(400) NOT NULL);
-- Each address that is replaced: scheme, host and port, without / at the end.
-- The nodes' files have no other address. If the table has one: INSERT INTO @old VALUES (N'https://OLD-ADDRESS');

-- ClientRedirectUris: the rows with such an address. [there] is 1 if the client has the new one already: this row stays.
SELECT c.[Id], c.[ClientId], c.[RedirectUri] AS [before],
       @new + SUBSTRING(c.[RedirectUri], LEN(o.[origin]) + 1, 4000) AS [after], CAST(0 AS bit) AS [there]
INTO #nlbgen_ClientRedirectUris
FROM [identity].[ClientRedirectUris] AS c
JOIN @old AS o
  ON LEFT(c.[RedirectUri], LEN(o.[origin])) = o.[origin] COLLATE Latin1_General_CI_AS
 AND SUBSTRING(c.[RedirectUri], LEN(o.[origin]) + 1, 1) IN (N'', N'/', N'?');
UPDATE r SET [there] = 1
FROM #nlbgen_ClientRedirectUris AS r
WHERE EXISTS (SELECT 1 FROM [identity].[ClientRedirectUris] AS c WHERE c.[ClientId] = r.[ClientId] AND c.[RedirectUri] = r.[after]);
SELECT N'ClientRedirectUris' AS [table], [Id], [ClientId], [before], [after], [there],
       N'UPDATE [identity].[ClientRedirectUris] SET [RedirectUri] = N''' + REPLACE([before], N'''', N'''''')
       + N''' WHERE [Id] = ' + CAST([Id] AS nvarchar(20)) + N' AND [RedirectUri] = N''' + REPLACE([after], N'''', N'''''')
       + N''';' AS [rollback]
FROM #nlbgen_ClientRedirectUris
ORDER BY [Id];

-- ClientPostLogoutRedirectUris: the rows with such an address. [there] is 1 if the client has the new one already: this row stays.
SELECT c.[Id], c.[ClientId], c.[PostLogoutRedirectUri] AS [before],
       @new + SUBSTRING(c.[PostLogoutRedirectUri], LEN(o.[origin]) + 1, 4000) AS [after], CAST(0 AS bit) AS [there]
INTO #nlbgen_ClientPostLogoutRedirectUris
FROM [identity].[ClientPostLogoutRedirectUris] AS c
JOIN @old AS o
  ON LEFT(c.[PostLogoutRedirectUri], LEN(o.[origin])) = o.[origin] COLLATE Latin1_General_CI_AS
 AND SUBSTRING(c.[PostLogoutRedirectUri], LEN(o.[origin]) + 1, 1) IN (N'', N'/', N'?');
UPDATE r SET [there] = 1
FROM #nlbgen_ClientPostLogoutRedirectUris AS r
WHERE EXISTS (SELECT 1 FROM [identity].[ClientPostLogoutRedirectUris] AS c WHERE c.[ClientId] = r.[ClientId] AND c.[PostLogoutRedirectUri] = r.[after]);
SELECT N'ClientPostLogoutRedirectUris' AS [table], [Id], [ClientId], [before], [after], [there],
       N'UPDATE [identity].[ClientPostLogoutRedirectUris] SET [PostLogoutRedirectUri] = N''' + REPLACE([before], N'''', N'''''')
       + N''' WHERE [Id] = ' + CAST([Id] AS nvarchar(20)) + N' AND [PostLogoutRedirectUri] = N''' + REPLACE([after], N'''', N'''''')
       + N''';' AS [rollback]
FROM #nlbgen_ClientPostLogoutRedirectUris
ORDER BY [Id];

IF @apply = 0
    PRINT N'Nothing was changed: @apply is 0.';
ELSE
BEGIN
BEGIN TRY
    BEGIN TRANSACTION;
    UPDATE c SET [RedirectUri] = r.[after]
    FROM [identity].[ClientRedirectUris] AS c
    JOIN #nlbgen_ClientRedirectUris AS r ON r.[Id] = c.[Id] AND r.[before] = c.[RedirectUri]
    WHERE r.[there] = 0;
    IF @@ROWCOUNT <> (SELECT COUNT(*) FROM #nlbgen_ClientRedirectUris WHERE [there] = 0)
        RAISERROR (N'ClientRedirectUris was changed while this script ran. Nothing was changed: run it again.', 16, 1);
    UPDATE c SET [PostLogoutRedirectUri] = r.[after]
    FROM [identity].[ClientPostLogoutRedirectUris] AS c
    JOIN #nlbgen_ClientPostLogoutRedirectUris AS r ON r.[Id] = c.[Id] AND r.[before] = c.[PostLogoutRedirectUri]
    WHERE r.[there] = 0;
    IF @@ROWCOUNT <> (SELECT COUNT(*) FROM #nlbgen_ClientPostLogoutRedirectUris WHERE [there] = 0)
        RAISERROR (N'ClientPostLogoutRedirectUris was changed while this script ran. Nothing was changed: run it again.', 16, 1);
    COMMIT TRANSACTION;
    PRINT N'The rows are changed. Restart the app pools of Identity Server on all nodes.';
END TRY
BEGIN CATCH
    IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION;
    THROW;
END CATCH;
END;

DROP TABLE #nlbgen_ClientRedirectUris;
DROP TABLE #nlbgen_ClientPostLogoutRedirectUris;
