-- Tables that the nodes share, of the farm farm--x
-- Made by nlbgen VERSION from the spec with digest 7b7f2cbc533f8f0a.
-- Do not edit: change the spec and run `nlbgen render nodes` again.
-- Run it against SQL'01\PROD (sqlcmd -S ... -f 65001 -i verify.sql): every row must show `present`.
USE [Ui]]Pa'th];

SELECT wanted.name AS [table],
       CASE WHEN OBJECT_ID(wanted.name) IS NULL THEN 'MISSING' ELSE 'present' END AS [state],
       wanted.made_by AS [made by]
FROM (VALUES
    (N'[dbo].[ASPStateTempApplications]', N'sessionstate.ps1'),
    (N'[dbo].[ASPStateTempSessions]', N'sessionstate.ps1'),
    (N'[SignalR].[Messages_0]', N'the first start of the Orchestrator'),
    (N'[SignalR].[Messages_0_Id]', N'the first start of the Orchestrator'),
    (N'[SignalR].[Schema]', N'the first start of the Orchestrator')
) AS wanted (name, made_by);

-- The applications that store sessions: more than one row means that the IIS site ids of the nodes differ.
IF OBJECT_ID(N'[dbo].[ASPStateTempApplications]') IS NOT NULL
    EXEC (N'SELECT AppName AS [application; one row for the farm] FROM [dbo].[ASPStateTempApplications]');

-- The job that deletes expired sessions. SQL Server Express has no Agent; an availability group needs it on each replica.
IF SERVERPROPERTY('EngineEdition') = 4
    SELECT 'none: SQL Server Express has no Agent' AS [job that deletes expired sessions];
ELSE IF HAS_PERMS_BY_NAME(N'msdb.dbo.sysjobs', 'OBJECT', 'SELECT') = 1
    EXEC (N'SELECT CASE WHEN COUNT(*) = 0 THEN ''MISSING'' ELSE ''present'' END AS [job that deletes expired sessions] FROM msdb.dbo.sysjobs WHERE name = N''Ui]Pa''''th_Job_DeleteExpiredSessions'' AND enabled = 1');
ELSE
    SELECT 'unknown: this login may not read msdb' AS [job that deletes expired sessions];

-- The database user of the nodes creates the SignalR tables at the first start, and needs this permission.
SELECT HAS_PERMS_BY_NAME(DB_NAME(), 'DATABASE', 'CREATE TABLE') AS [may create tables];
