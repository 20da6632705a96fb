# Upgrade of the farm orchestrator-dev
# Made by nlbgen VERSION from the spec with digest 8529b172f91a0644.
# Do not edit: change the spec and run `nlbgen render upgrade` again.
# Run it on each node as an administrator. The steps of UPGRADE.md name the action:
#   Snapshot   copies the settings of this node; it changes nothing on the node
#   Stop       stops the site and its application pools, also over a restart of Windows
#   Collect    copies the settings that the installer wrote
#   PutBack    replaces the settings by the corrected copies, while the site is stopped
#   Start      starts the application pools and the site
#   State      shows the states
# The copies contain keys: only administrators can read their folder.
#Requires -Version 5.1
#Requires -PSEdition Desktop
#Requires -RunAsAdministrator
[CmdletBinding(SupportsShouldProcess)]
param(
    [Parameter(Mandatory)] [ValidateSet('Snapshot', 'Stop', 'Collect', 'PutBack', 'Start', 'State')] [string] $Action,
    [string] $Folder = 'C:\nlbgen\upgrade'
)
Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'
$Folder = $PSCmdlet.GetUnresolvedProviderPathFromPSPath($Folder)
$Directory = 'C:\Program Files (x86)\UiPath\Orchestrator'
$SiteName = 'UiPath Orchestrator'
$Files = @('web.config')
Import-Module WebAdministration

$site = Get-Website | Where-Object { $_.Name -eq $SiteName }
if ($null -eq $site) { throw "IIS has no site $SiteName. Nothing was changed." }
# Identity, Webhooks and Resource Catalog are applications of the site, with pools of their own.
$pools = @($site.applicationPool) + @(Get-WebApplication -Site $SiteName | ForEach-Object { $_.applicationPool }) | Sort-Object -Unique

function Get-Running {
    @($pools | Where-Object { (Get-WebAppPoolState -Name $_).Value -ne 'Stopped' }) + @(
        if ((Get-WebsiteState -Name $SiteName).Value -ne 'Stopped') { "the site $SiteName" })
}

function Copy-Setting {
    param([string] $From, [string] $To)
    foreach ($file in $Files) {
        $source = Join-Path $From $file
        if (-not (Test-Path -LiteralPath $source)) { continue }
        $target = Join-Path $To $file
        $null = New-Item -ItemType Directory -Force -Path (Split-Path $target)
        Copy-Item -LiteralPath $source -Destination $target -Force
        $hash = (Get-FileHash -LiteralPath $target -Algorithm SHA256).Hash
        if ($hash -ne (Get-FileHash -LiteralPath $source -Algorithm SHA256).Hash) { throw "$target differs from $source. Check that no other program writes to these files, then run the action again." }
        Write-Host "$file  sha256:$($hash.ToLowerInvariant())"
    }
}

function New-CopyFolder {
    param([string] $Name)
    $path = Join-Path $Folder $Name
    if (Test-Path -LiteralPath $path) { throw "$path exists already: rename it, so that no earlier copy is lost. Nothing was changed." }
    $null = New-Item -ItemType Directory -Force -Path $path
    # S-1-5-32-544: administrators; S-1-5-18: the system.
    $null = & icacls.exe $path /inheritance:r /grant '*S-1-5-32-544:(OI)(CI)F' '*S-1-5-18:(OI)(CI)F'
    if ($LASTEXITCODE -ne 0) { throw "The access rights of $path could not be set." }
    $path
}

function Set-AutoStart {
    param([bool] $Value)
    foreach ($pool in $pools) { Set-ItemProperty -LiteralPath "IIS:\AppPools\$pool" -Name autoStart -Value $Value }
    Set-ItemProperty -LiteralPath "IIS:\Sites\$SiteName" -Name serverAutoStart -Value $Value
}

switch ($Action) {
    'Snapshot' { Copy-Setting $Directory (New-CopyFolder 'before') }
    'Collect' { Copy-Setting $Directory (New-CopyFolder 'after') }
    'Stop' {
        if (-not $PSCmdlet.ShouldProcess($SiteName, 'Stop')) { return }
        Set-AutoStart $false
        if ((Get-WebsiteState -Name $SiteName).Value -ne 'Stopped') { Stop-Website -Name $SiteName }
        foreach ($pool in $pools) { if ((Get-WebAppPoolState -Name $pool).Value -ne 'Stopped') { Stop-WebAppPool -Name $pool } }
        for ($second = 0; (Get-Running) -and $second -lt 120; $second++) { Start-Sleep -Seconds 1 }
        $running = @(Get-Running)
        if ($running.Count) { throw "Not stopped after 120 seconds: $($running -join ', '). End the w3wp.exe of these pools in Task Manager, then run the action Stop again." }
        Write-Host "$env:COMPUTERNAME: the site and its pools are stopped."
    }
    'PutBack' {
        $running = @(Get-Running)
        if ($running.Count) { throw "Stop the node first: $($running -join ', ') runs. Nothing was changed." }
        $source = Join-Path $Folder 'corrected'
        if (-not (Test-Path -LiteralPath $source)) { throw "$source does not exist: copy the corrected files of this node there first. Nothing was changed." }
        if ($PSCmdlet.ShouldProcess($Directory, 'Replace the settings')) { Copy-Setting $source $Directory }
    }
    'Start' {
        if (-not $PSCmdlet.ShouldProcess($SiteName, 'Start')) { return }
        Set-AutoStart $true
        foreach ($pool in $pools) { if ((Get-WebAppPoolState -Name $pool).Value -ne 'Started') { Start-WebAppPool -Name $pool } }
        if ((Get-WebsiteState -Name $SiteName).Value -ne 'Started') { Start-Website -Name $SiteName }
        Write-Host "$env:COMPUTERNAME: the site and its pools are started."
    }
    'State' {
        foreach ($pool in $pools) { Write-Host "$pool $((Get-WebAppPoolState -Name $pool).Value)" }
        Write-Host "$SiteName $((Get-WebsiteState -Name $SiteName).Value)"
    }
}
